"""Frozen networks: their weights, memory plan, preprocessing, pools and maps; and the teacher."""
