# Completion for bash: mseal

# The values of an option of `mseal run`; nothing for options that take any value.
_mseal_values() {
  case $1 in
    --backend) echo auto kernel supervised filters libc ;;
    --require) echo kernel supervised filters libc ;;
    --mode) echo enforce audit ;;
    --auto) echo off marked elf data ;;
    --late) echo off nodelete all ;;
    --coverage) echo fast all ;;
    --scope) echo tree process ;;
    --discard) echo strict kernel ;;
    --sealable) echo optional required ;;
    --vdso) echo 0 1 ;;
    --harden) echo ptrace process_vm_writev userfaultfd proc_mem ;;
    --open) echo io_uring process_madvise prctl_mm tagged_addresses clone3 hugetlb_files shm_remap old_mmap uselib \
        io_destroy shadow_stack ;;
    --log) echo stderr syslog ;;
    --policy) echo none ;;
  esac
}

_mseal() {
  local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]} word index
  if ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W "run check status report policy system --help --version" -- "$current")
    return
  fi
  # bash takes --key=value apart at the =.
  if [[ $current == = ]]; then
    current=
  elif [[ $before == = ]]; then
    before=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  case $command in
    run)
      # After the program's name, the completion of that program takes over.
      for ((index = 2; index < COMP_CWORD; ++index)); do
        word=${COMP_WORDS[index]}
        case $word in
          --)
            _mseal_command $((index + 1))
            return
            ;;
          --verbose | --quiet | --strict | --help | -?) ;;
          --*)  # its value comes next, perhaps after a =
            [[ ${COMP_WORDS[index + 1]} == = ]] && ((++index))
            ((++index))
            ;;
          *)
            _mseal_command $index
            return
            ;;
        esac
      done
      case $before in
        --verbose | --quiet | --strict | --help) ;;
        --policy | --events | --log | --supervisor)
          mapfile -t COMPREPLY < <(compgen -W "$(_mseal_values "$before")" -- "$current"; compgen -f -- "$current")
          return
          ;;
        --*)
          # Words joined by + are completed one by one.
          local done=
          [[ $before == --harden || $before == --open ]] && [[ $current == *+* ]] && done=${current%+*}+
          mapfile -t COMPREPLY < <(compgen -P "$done" -W "$(_mseal_values "$before")" -- "${current#"$done"}")
          return
          ;;
      esac
      if [[ $current == -* ]]; then
        # What the tool itself lists is never out of date.
        mapfile -t COMPREPLY < <(compgen -W "$(mseal run --help 2>/dev/null | grep -o -- '--[a-z]*')" -- "$current")
      else
        mapfile -t COMPREPLY < <(compgen -c -- "$current")
      fi
      ;;
    check) mapfile -t COMPREPLY < <(compgen -W "--json --help" -- "$current") ;;
    status) mapfile -t COMPREPLY < <(compgen -W "--json --html --help $(cd /proc && echo [0-9]*)" -- "$current") ;;
    report) mapfile -t COMPREPLY < <(compgen -W "--json --html --exit-code --help" -- "$current"; compgen -f -- "$current") ;;
    policy)
      if ((COMP_CWORD == 2)); then
        mapfile -t COMPREPLY < <(compgen -W "check show --help" -- "$current")
      elif [[ ${COMP_WORDS[2]} == show && $before == --policy ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
      elif [[ ${COMP_WORDS[2]} == show ]]; then
        mapfile -t COMPREPLY < <(compgen -W "--policy" -- "$current"; compgen -c -- "$current")
      else
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
      fi
      ;;
    system)
      if ((COMP_CWORD == 2)); then
        mapfile -t COMPREPLY < <(compgen -W "enable disable status --help" -- "$current")
      elif [[ $before == --root ]]; then
        mapfile -t COMPREPLY < <(compgen -d -- "$current")
      elif [[ $before == --library ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
      else
        mapfile -t COMPREPLY < <(compgen -W "$(mseal system "${COMP_WORDS[2]}" --help 2>/dev/null | grep -o -- '--[a-z-]*')" -- "$current")
      fi
      ;;
  esac
}

# The command line from that word on belongs to another command. Without bash-completion: files and programs.
_mseal_command() {
  if declare -F _command_offset >/dev/null; then
    _command_offset "$1"
  elif ((COMP_CWORD > $1)); then
    mapfile -t COMPREPLY < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
  else
    mapfile -t COMPREPLY < <(compgen -c -- "${COMP_WORDS[COMP_CWORD]}")
  fi
}
complete -F _mseal mseal
