"""Program to files: C, build files and reports. Prints what the Program says and decides nothing."""
