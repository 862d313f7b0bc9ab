import ArgumentParser
import Glibc

// A reader that goes away shows as a failed write, not as a signal that kills.
signal(SIGPIPE, SIG_IGN)
exit(CommandLineProgram.run())
