# Completion for bash: mseal
_mseal() {
  local current=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} word index
  if ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W "run check status report policy --help" -- "$current")
    return
  fi
  case $command in
    run)
      # Behind the program's name its own completion goes on.
      for ((index = 2; index < COMP_CWORD; ++index)); do
        word=${COMP_WORDS[index]}
        if [[ $word == -- ]] || { [[ $word != -* && $word != = ]] && [[ ${COMP_WORDS[index - 1]} != = ]]; }; then
          [[ $word == -- ]] && ((++index))
          declare -F _command_offset >/dev/null && _command_offset $index
          return
        fi
      done
      if [[ $current == -* ]]; then
        # What the tool itself lists is never out of date.
        mapfile -t COMPREPLY < <(compgen -W "$(mseal run --help 2>/dev/null | grep -o -- '--[a-z]*')" -- "$current")
      else
        mapfile -t COMPREPLY < <(compgen -c -- "$current")
      fi
      ;;
    check) mapfile -t COMPREPLY < <(compgen -W "--json --help" -- "$current") ;;
    status) mapfile -t COMPREPLY < <(compgen -W "--json --help $(cd /proc && echo [0-9]*)" -- "$current") ;;
    report) mapfile -t COMPREPLY < <(compgen -W "--json --html --help" -- "$current"; compgen -f -- "$current") ;;
    policy)
      if ((COMP_CWORD == 2)); then
        mapfile -t COMPREPLY < <(compgen -W "check show --help" -- "$current")
      elif [[ ${COMP_WORDS[2]} == show ]]; then
        mapfile -t COMPREPLY < <(compgen -W "--policy" -- "$current"; compgen -c -- "$current")
      else
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
      fi
      ;;
  esac
}
complete -F _mseal mseal
