# Writes whoholds-sim(1) into OUT, from what the program's commands say under --help.
# Run as: cmake -DPROGRAM=bin/whoholds-sim -DVERSION=1.2 -DOUT=file -P manual.cmake
cmake_minimum_required(VERSION 3.25)

function(ask VARIABLE)
  execute_process(COMMAND ${PROGRAM} ${ARGN} OUTPUT_VARIABLE TEXT COMMAND_ERROR_IS_FATAL ANY)
  set(${VARIABLE} "${TEXT}" PARENT_SCOPE)
endfunction()

# Text for troff, its lines kept: backslashes and hyphens escaped, a leading dot or quote made harmless.
function(keep VARIABLE TEXT)
  string(REPLACE "\\" "\\e" TEXT "${TEXT}")
  string(REPLACE "-" "\\-" TEXT "${TEXT}")
  string(REGEX REPLACE "(^|\n)([.'])" "\\1\\\\&\\2" TEXT "${TEXT}")
  set(${VARIABLE} ".nf\n${TEXT}.fi\n" PARENT_SCOPE)
endfunction()

ask(OVERVIEW --help)
keep(KEPT "${OVERVIEW}")
set(PAGE ".TH WHOHOLDS\\-SIM 1 \"\" \"whoholds ${VERSION}\" \"User Commands\"\n.SH NAME\n")
string(APPEND PAGE "whoholds\\-sim \\- programs with known leaks, to record with whoholds\n.SH SYNOPSIS\n")
string(APPEND PAGE ".B whoholds\\-sim\n.I COMMAND\n[options]\n.SH DESCRIPTION\n${KEPT}.SH COMMANDS\n")
string(REGEX MATCHALL "\n  [a-z]+ " NAMES "${OVERVIEW}")
foreach(NAME ${NAMES})
  string(STRIP "${NAME}" NAME)
  ask(HELP ${NAME} --help)
  keep(KEPT "${HELP}")
  string(APPEND PAGE ".SS ${NAME}\n${KEPT}")
endforeach()
string(APPEND PAGE ".SH SEE ALSO\n.BR whoholds (1),\n.BR whoholds\\-record (1)\n")
file(WRITE ${OUT} "${PAGE}")
