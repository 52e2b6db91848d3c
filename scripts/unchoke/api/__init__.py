"""What users call: predictions, masks of whole images, the doctor's page, the check of all results."""
