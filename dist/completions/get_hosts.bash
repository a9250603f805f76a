# Completion of get_hosts' command line for bash.
complete -W '--timeout --info-dir --pamltsp --lts-conf --help' -o default get_hosts
