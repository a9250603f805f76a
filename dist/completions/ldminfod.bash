# Completion of ldminfod's command line for bash.
complete -W '--capacity --listen --explain --state --help drain undrain' -o default ldminfod
