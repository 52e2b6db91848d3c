"""Figures of heads that predict numbers or several labels, and the worst predictions of heads of any kind."""
