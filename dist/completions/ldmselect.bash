# Completion of ldmselect's command line for bash.
complete -W '--lts-conf --help' -o default ldmselect
