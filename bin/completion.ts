/** Completion for bash and zsh: a short script that asks the program itself, so that it is never out of date. */
import type { AnyCommand } from './command.ts';

/** The script that `compare completion` prints; `source <(compare completion)` switches it on. */
export function completionScript(name: string): string {
  // The part for zsh is quoted, for bash reads it too.
  return `# ${name} completion for bash and zsh.  Use: source <(${name} completion)
if [ -n "\${ZSH_VERSION-}" ]; then eval '
  _${name}_complete() {
    local -a found
    found=("\${(@f)$(${name} --complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
    found=(\${found:#})
    (( $#found )) || { _files; return; }
    compadd -S "" -- \${(M)found:#*=}
    compadd -- \${found:#*=}
  }
  (( $+functions[compdef] )) || { autoload -Uz compinit && compinit -iD; }
  compdef _${name}_complete ${name}
'; else
  _${name}_complete() {
    local IFS=$'\\n'
    COMPREPLY=($(${name} --complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
    case "\${COMPREPLY-}" in *=) compopt -o nospace 2>/dev/null ;; esac
  }
  complete -o default -F _${name}_complete ${name}
fi
`;
}

/** The words that can come next, one a line; `typed` ends with the word being typed, which may be empty. */
export async function complete(
  typed: readonly string[],
  commands: readonly AnyCommand[],
  fallback: AnyCommand,
): Promise<string> {
  const { before, current, prefix } = wordsOf(typed);
  const command = commands.find((c) => c.name === before[0]) ?? fallback;
  const words = await candidates(current, before, command, commands);
  return words
    .filter((w) => w.startsWith(current))
    .map((w) => `${prefix}${w}\n`)
    .join('');
}

/**
 * `--scenario=rom` is two words, as `--scenario rom` is. zsh hands it over in one and wants it back in one; bash takes it
 * apart at the `=`, and wants the last part.
 */
function wordsOf(typed: readonly string[]): { before: string[]; current: string; prefix: string } {
  const words = typed.filter((w, i) => !(w === '=' && i > 0 && i < typed.length - 1));
  const current = words.pop() ?? '';
  if (current === '=') return { before: words, current: '', prefix: '' };
  const [, option, value] = /^(--[\w-]+)=(.*)$/s.exec(current) ?? [];
  if (option === undefined || value === undefined) return { before: words, current, prefix: '' };
  return { before: [...words, option], current: value, prefix: `${option}=` };
}

async function candidates(
  current: string,
  before: readonly string[],
  command: AnyCommand,
  commands: readonly AnyCommand[],
): Promise<readonly string[]> {
  const options = Object.keys(command.options).map((o) => `--${o}`);
  if (current.startsWith('-')) return [...options, '--help'];
  const flag = before.findLast((w) => w.startsWith('--'))?.slice(2);
  const option = flag === undefined ? undefined : command.options[flag];
  // A list (`--scenario a b`) goes on until the next option; a single value ends with its word, a switch has none.
  if (
    flag !== undefined &&
    option &&
    option.type !== 'boolean' &&
    (option.array || before.at(-1) === `--${flag}`)
  ) {
    return option.choices ? option.choices.map(String) : names(flag, before);
  }
  return before.length === 0 ? [...commands.map((c) => c.name), ...options] : options;
}

async function names(flag: string, before: readonly string[]): Promise<readonly string[]> {
  switch (flag) {
    case 'scenario':
      return (await import('../scenarios/index.ts')).SCENARIOS.map((s) => s.name);
    case 'param':
      return params(before);
    case 'kernel':
      return (await import('../scenarios/conform/kernels.ts')).RECORDED_KERNELS.map((k) => k.name);
    case 'strategy':
      return (await import('../strategies/index.ts')).STRATEGIES.map((s) => s.name);
    case 'with':
    case 'without':
      return (await import('../strategies/index.ts')).PATCHES.map((p) => p.name);
    default:
      return [];
  }
}

/** Parameters of the scenarios that were named, or of all, ready for their value. */
async function params(before: readonly string[]): Promise<readonly string[]> {
  const { SCENARIOS } = await import('../scenarios/index.ts');
  const named = SCENARIOS.filter((s) => before.includes(s.name));
  const all = (named.length > 0 ? named : SCENARIOS).flatMap((s) => Object.keys(s.params ?? {}));
  return [...new Set(all)].map((name) => `${name}=`);
}
