"""What is on the disk between programs: run folders, JSON files, locks, names."""
