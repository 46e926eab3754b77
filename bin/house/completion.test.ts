/** Completion in the shells themselves: what they make of the script that the program prints. */
import { spawnSync } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { builtProgram, execute } from './built.ts';

const has = (shell: string): boolean => spawnSync(shell, ['-c', 'true']).status === 0;
for (const shell of ['bash', 'zsh']) if (!has(shell)) console.log(`completion tests: no ${shell} here`);

let folder: string;
beforeAll(async () => {
  const program = await builtProgram();
  folder = await mkdtemp(join(tmpdir(), 'faultline-'));
  // The program under its own name, as it is when it is installed.
  await writeFile(join(folder, 'compare'), `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`);
  await chmod(join(folder, 'compare'), 0o755);
  const { out } = await execute(process.execPath, [program, 'completion']);
  await writeFile(join(folder, 'completion.sh'), out);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const inFolder = (shell: string, ...args: string[]) =>
  execute(shell, args, {
    cwd: folder,
    env: { PATH: `${folder}:${process.env.PATH}`, TERM: 'dumb', HOME: folder },
  });

describe.skipIf(!has('bash'))('bash', () => {
  test.each([
    [['compare', 'li'], ['list']],
    [['compare', '--str'], ['--strategy']],
    [['compare', '--scenario', '=', 'rom-write-c'], ['rom-write-cold']],
    [
      ['compare', '--paging', ''],
      ['npt', 'shadow'],
    ],
    [['compare', '--scenario', 'rom-write', '--param', 'w'], ['writes=']],
    [['compare', '--out', 'some'], []],
  ])('%j', async (words, expected) => {
    const quoted = words.map((w) => `'${w}'`).join(' ');
    const script = `source ./completion.sh; complete -p compare >&2; COMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}
      _compare_complete; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { out, err } = await inFolder('bash', '--norc', '-c', script);
    expect(err).toBe('complete -o default -F _compare_complete compare\n');
    expect(out.split('\n').filter(Boolean)).toEqual(expected);
  });
});

describe.skipIf(!has('zsh'))('zsh', () => {
  test.each([
    ['compare li', 'compare list '],
    ['compare --str', 'compare --strategy '],
    ['compare --scenario=rom-write-c', 'compare --scenario=rom-write-cold '],
    ['compare --scenario rom-write --param w', 'compare --scenario rom-write --param writes='],
    ['compare --paging sh', 'compare --paging shadow '],
    ['compare --out compl', 'compare --out completion.sh '],
  ])('%s', async (typed, expected) => {
    // A terminal of zsh's own with a zsh in it: a key is bound that says what the line has become.
    const script = `zmodload zsh/zpty
      zpty z zsh -f -i
      zpty -w z 'unsetopt zle_bracketed_paste 2>/dev/null; source ./completion.sh; say() { print -r -- "<<$BUFFER>>" }; zle -N say; bindkey "^X" say; print READY'
      zpty -r z seen '*READY*READY*'
      zpty -w -n z $'${typed}\\t\\x18'
      zpty -r z seen '*<<*>>*'
      print -r -- "$seen"
      zpty -d z`;
    const { out } = await inFolder('zsh', '-f', '-c', script);
    expect(/<<(.*)>>/s.exec(out)?.[1]).toBe(expected);
  });
});
