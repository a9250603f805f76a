# Completion of ltskeeper's command line for fish.

function __ltskeeper_complete
    set -l before (commandline -opc)
    set -l here (commandline -ct)
    for line in (ltskeeper complete -- $before[2..-1] $here 2>/dev/null)
        if string match -q -- \t\* $line # fish finds files by itself
            set -l option (string match -r -- '^--[a-z-]+=' $here)
            string replace -r -- '^' "$option" (__fish_complete_path (string replace -r -- '^--[a-z-]+=' '' $here))
        else
            echo -- $line
        end
    end
end

complete -c ltskeeper -f -a '(__ltskeeper_complete)'
