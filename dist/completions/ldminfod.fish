# Completion of ldminfod's command line for fish.
complete -c ldminfod -f
complete -c ldminfod -l capacity -x -d 'the server is meant for N sessions'
complete -c ldminfod -l listen -x -d 'answer everybody who connects to ADDRESS'
complete -c ldminfod -l explain -d 'show where the rating comes from'
complete -c ldminfod -l state -r -F -d 'where drain leaves its mark'
complete -c ldminfod -l help -d 'explain the options'
complete -c ldminfod -n __fish_is_first_token -a drain -d 'ask for no new logins'
complete -c ldminfod -n __fish_is_first_token -a undrain -d 'take logins again'
