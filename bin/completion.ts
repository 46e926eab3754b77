/** Completion for bash and zsh: a short script that asks the program itself, so that it is never out of date. */
import type { AnyCommand } from './command.ts';

/** The script that `compare completion` prints; `source <(compare completion)` switches it on. */
export function completionScript(name: string): string {
  return `# ${name} completion for bash and zsh.  Use: source <(${name} completion)
if [ -n "\${ZSH_VERSION-}" ]; then autoload -U +X bashcompinit && bashcompinit; fi
_${name}_complete() {
  local cur=\${COMP_WORDS[COMP_CWORD]} words
  words=$(${name} --complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _${name}_complete ${name}
`;
}

/** The words that can come next, one a line; `typed` ends with the word being typed, which may be empty. */
export async function complete(
  typed: readonly string[],
  commands: readonly AnyCommand[],
  fallback: AnyCommand,
): Promise<string> {
  const current = typed.at(-1) ?? '';
  const before = typed.slice(0, -1);
  const command = commands.find((c) => c.name === before[0]) ?? fallback;
  const words = await candidates(current, before, command, commands);
  return words
    .filter((w) => w.startsWith(current))
    .map((w) => `${w}\n`)
    .join('');
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
  // A list (`--scenario a b`) goes on until the next option; a single value ends with its word.
  if (flag !== undefined && option && (option.array || before.at(-1) === `--${flag}`)) {
    return option.choices ? option.choices.map(String) : names(flag);
  }
  return before.length === 0 ? [...commands.map((c) => c.name), ...options] : options;
}

async function names(flag: string): Promise<readonly string[]> {
  if (flag === 'scenario') return (await import('../scenarios/index.ts')).SCENARIOS.map((s) => s.name);
  if (flag !== 'strategy' && flag !== 'with' && flag !== 'without' && flag !== 'vmm') return [];
  const { PATCHES, STRATEGIES, VMMS } = await import('../strategies/index.ts');
  if (flag === 'vmm') return VMMS.map((v) => v.name);
  return (flag === 'strategy' ? STRATEGIES : PATCHES).map((s) => s.name);
}
