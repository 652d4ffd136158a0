# Completion for fish: mseal

# The options of a command: what the tool itself lists is never out of date.
function __mseal_options
    mseal $argv --help 2>/dev/null | string replace -rf '^ +(?:-\w,)?(--[a-z-]+)(?: TEXT)?(?: \w+: --\w+)? +(.*)$' '$1\t$2'
end

# The words of `mseal run` from the program's name on. Fails if there is no such name yet.
function __mseal_program
    set -l words (commandline -opc)
    set -e words[1..2]
    while set -q words[1]
        switch $words[1]
            case --verbose --quiet --strict --help '--*=*' '-?'
                set -e words[1]
            case --
                string escape -- $words[2..]
                return 0
            case '--*'
                set -e words[1]
                set -q words[1]; and set -e words[1]
            case '*'
                string escape -- $words
                return 0
        end
    end
    return 1
end

# The completions of another command line.
function __mseal_complete_program
    complete -C (string join -- ' ' (__mseal_program) (commandline -ct))
end

complete -c mseal -f
complete -c mseal -n __fish_use_subcommand -a 'run\t"Start a program under the library"
check\t"Print which backend programs get on this machine"
status\t"Which mappings of a process are sealed"
report\t"Group recorded events"
policy\t"Check policy files"
system\t"Load the library into every program"'
complete -c mseal -n __fish_use_subcommand -l help -d 'Print help'
complete -c mseal -n __fish_use_subcommand -l version -d 'Print the version'

set -l run '__fish_seen_subcommand_from run; and not __mseal_program >/dev/null'
complete -c mseal -n "$run" -a '(__mseal_options run)'
complete -c mseal -n "$run" -a '(__fish_complete_command)'
complete -c mseal -n '__fish_seen_subcommand_from run; and __mseal_program >/dev/null' -a '(__mseal_complete_program)'
complete -c mseal -n "$run" -l backend -x -a 'auto kernel supervised filters libc'
complete -c mseal -n "$run" -l require -x -a 'kernel supervised filters libc'
complete -c mseal -n "$run" -l mode -x -a 'enforce audit'
complete -c mseal -n "$run" -l auto -x -a 'off marked elf data'
complete -c mseal -n "$run" -l late -x -a 'off nodelete all'
complete -c mseal -n "$run" -l coverage -x -a 'fast all'
complete -c mseal -n "$run" -l scope -x -a 'tree process'
complete -c mseal -n "$run" -l discard -x -a 'strict kernel'
complete -c mseal -n "$run" -l sealable -x -a 'optional required'
complete -c mseal -n "$run" -l vdso -x -a '0 1'
complete -c mseal -n "$run" -l harden -x -a 'ptrace process_vm_writev userfaultfd proc_mem'
complete -c mseal -n "$run" -l open -x -a 'io_uring process_madvise prctl_mm tagged_addresses clone3 hugetlb_files shm_remap old_mmap uselib io_destroy shadow_stack'
complete -c mseal -n "$run" -l policy -r -F -a none
complete -c mseal -n "$run" -l log -r -F -a 'stderr syslog'
complete -c mseal -n "$run" -l events -r -F
complete -c mseal -n "$run" -l supervisor -r -F

for command in check status report
    complete -c mseal -n "__fish_seen_subcommand_from $command; and not __fish_seen_subcommand_from policy system" -a "(__mseal_options $command)"
end
complete -c mseal -n '__fish_seen_subcommand_from status; and not __fish_seen_subcommand_from system' -a '(__fish_complete_pids)'
complete -c mseal -n '__fish_seen_subcommand_from report' -F
complete -c mseal -n '__fish_seen_subcommand_from policy; and not __fish_seen_subcommand_from check show' -a 'check show'
complete -c mseal -n '__fish_seen_subcommand_from policy; and __fish_seen_subcommand_from check' -F
complete -c mseal -n '__fish_seen_subcommand_from policy; and __fish_seen_subcommand_from show' -l policy -r -F
complete -c mseal -n '__fish_seen_subcommand_from policy; and __fish_seen_subcommand_from show' -a '(__fish_complete_command)'
complete -c mseal -n '__fish_seen_subcommand_from system; and not __fish_seen_subcommand_from enable disable status' -a 'enable disable status'
for command in enable disable status
    complete -c mseal -n "__fish_seen_subcommand_from system; and __fish_seen_subcommand_from $command" -a "(__mseal_options system $command)"
end
complete -c mseal -n '__fish_seen_subcommand_from system' -l root -x -a '(__fish_complete_directories)'
complete -c mseal -n '__fish_seen_subcommand_from enable' -l library -r -F
