# Writes the man pages and the bash completion, as the program itself tells them, into OUT.
# Run as: cmake -DPROGRAM=bin/whoholds -DOUT=dir -P manual.cmake
cmake_minimum_required(VERSION 3.25)

function(tell FILE)
  execute_process(COMMAND ${PROGRAM} help ${ARGN} OUTPUT_FILE ${OUT}/${FILE} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE ${OUT})
file(MAKE_DIRECTORY ${OUT}/man1 ${OUT}/completions)
execute_process(COMMAND ${PROGRAM} help --list OUTPUT_VARIABLE NAMES COMMAND_ERROR_IS_FATAL ANY)
string(REGEX REPLACE "\n" ";" NAMES "${NAMES}")
list(REMOVE_ITEM NAMES "")
foreach(NAME ${NAMES})
  tell(man1/whoholds-${NAME}.1 --man ${NAME})
endforeach()
tell(man1/whoholds.1 --man)
tell(completions/whoholds --completion)
