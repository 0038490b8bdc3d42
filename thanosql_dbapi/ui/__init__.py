"""What people see: notebook, shell, command line, gallery. Nothing below imports this room."""
