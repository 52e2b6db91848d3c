"""What every training shares: its state on disk, the schedule of its learning rate, the choice among its members."""
