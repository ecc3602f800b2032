// seal completion: the script with which a shell asks `seal __complete` what could stand where the cursor is. The scripts start
// the `seal` of PATH and no other, whatever was typed.
import type { Io } from "../io.ts";

export async function completion(io: Io, shell: keyof typeof scripts): Promise<void> {
  await io.stdout.write(scripts[shell]);
}

const scripts = {
  bash: `# bash completion of seal; in ~/.bashrc:  source <(seal completion bash)
_seal() {
  local line kind=words
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
      :*) kind=\${line#:} ;;
      *) COMPREPLY+=("\${line%%$'\\t'*}") ;;
    esac
  done < <(command seal __complete bash -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  case $kind in
    files) compopt -o filenames ;;
    default) compopt -o default ;;
  esac
}
complete -F _seal seal
`,
  zsh: `#compdef seal
# zsh completion of seal; in ~/.zshrc, after compinit:  source <(seal completion zsh)
_seal() {
  local line kind=words
  local -a values shown
  while IFS= read -r line; do
    case $line in
      :*) kind=\${line#:} ;;
      *) values+=("\${line%%$'\\t'*}"); shown+=("\${line/$'\\t'/  -- }") ;;
    esac
  done < <(command seal __complete zsh -- "\${(@Q)words[2,CURRENT]}" 2>/dev/null)
  case $kind in
    files) compadd -f -- $values ;;
    default) _files ;;
    *) compadd -l -d shown -- $values ;;
  esac
}
if [ "$funcstack[1]" = _seal ]; then _seal "$@"; else compdef _seal seal; fi
`,
  fish: `# fish completion of seal; in ~/.config/fish/completions/seal.fish:  seal completion fish | source
function __seal_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  set -l answer (command seal __complete fish -- $words[2..-1] "$current" 2>/dev/null)
  if test "$answer[-1]" = :default
    __fish_complete_path "$current"
  else
    string match -v ':*' -- $answer
  end
end
complete -c seal -f -a '(__seal_complete)'
`,
} as const;
