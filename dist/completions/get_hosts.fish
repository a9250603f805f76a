# Completion of get_hosts' command line for fish.
complete -c get_hosts -f
complete -c get_hosts -l timeout -x -d 'how long everything may take'
complete -c get_hosts -l info-dir -r -F -d 'leave answers there for the greeter'
complete -c get_hosts -l pamltsp -d 'set SSH_SERVER for LTSP since 2019'
complete -c get_hosts -l lts-conf -r -F -d 'where settings stand'
complete -c get_hosts -l help -d 'explain the options'
