# Completion of ldmselect's command line for fish.
complete -c ldmselect -f
complete -c ldmselect -l lts-conf -r -F -d 'where settings stand'
complete -c ldmselect -l help -d 'explain the options'
