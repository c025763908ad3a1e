/* The list of commands, in the order of the overview: one row each, X(name) for the object
 * wh_command_<name> in <name>.c. Flat data, included where it is expanded; no include guard. */
X(record)
X(report)
X(top)
X(check)
X(gap)
X(holders)
X(snapshots)
X(sql)
X(help)
X(version)
X(recorder)
