#compdef mseal
# Completion for zsh: mseal

# The options of a command: what the tool itself lists is never out of date.
_mseal_options() {
  local line option text
  local -a match mbegin mend
  for line in ${(f)"$(mseal $@ --help 2>/dev/null)"}; do
    [[ $line =~ '^ +(-[a-z],)?(--[a-z-]+)( TEXT)?( [A-Z][a-z]+: --[a-z]+)? +(.*)$' ]] || continue
    option=$match[2]
    text=${match[5]//:/\\:}
    if [[ -n $match[3] ]]; then
      reply+=("${option}=[$text]:value: _mseal_value ${option#--}")
    else
      reply+=("${option}[$text]")
    fi
  done
}

_mseal_value() {
  case $1 in
    backend) compadd auto kernel supervised filters libc ;;
    require) compadd kernel supervised filters libc ;;
    mode) compadd enforce audit ;;
    auto) compadd off marked elf data ;;
    late) compadd off nodelete all ;;
    coverage) compadd fast all ;;
    scope) compadd tree process ;;
    discard) compadd strict kernel ;;
    sealable) compadd optional required ;;
    vdso) compadd 0 1 ;;
    harden) _sequence -s + compadd - ptrace process_vm_writev userfaultfd proc_mem ;;
    open) _sequence -s + compadd - io_uring process_madvise prctl_mm tagged_addresses clone3 hugetlb_files shm_remap old_mmap \
        uselib io_destroy shadow_stack ;;
    policy) compadd none; _files ;;
    log) compadd stderr syslog; _files ;;
    events | supervisor | library) _files ;;
    root) _files -/ ;;
  esac
}

_mseal() {
  local context state line
  local -a reply
  local -A opt_args
  _arguments -C '(- *)--help[print help]' '(- *)--version[print the version]' '1:command:->command' '*::argument:->argument'
  case $state in
    command)
      local -a commands=('run:start a program under the library' 'check:which backend programs get on this machine'
        'status:which mappings of a process are sealed' 'report:group recorded events' 'policy:check policy files'
        'system:load the library into every program')
      _describe command commands
      ;;
    argument)
      case $line[1] in
        run)
          _mseal_options run
          _arguments -S $reply '(-):program:_command_names -e' '*::argument:_normal'
          ;;
        check)
          _mseal_options check
          _arguments $reply
          ;;
        status)
          _mseal_options status
          _arguments $reply '1:process:_pids'
          ;;
        report)
          _mseal_options report
          _arguments $reply '1:events:_files'
          ;;
        policy)
          if ((CURRENT == 2)); then
            local -a commands=('check:print mistakes in policy files' 'show:which options a program gets')
            _describe command commands
          elif [[ $words[2] == show ]]; then
            _arguments '--policy=[another file]:file:_files' '2:program:_command_names -e'
          else
            _files
          fi
          ;;
        system)
          if ((CURRENT == 2)); then
            local -a commands=('enable:load the library into every program' 'disable:undo this'
              'status:print whether it is enabled')
            _describe command commands
          else
            _mseal_options system $words[2]
            _arguments $reply
          fi
          ;;
      esac
      ;;
  esac
}

_mseal "$@"
