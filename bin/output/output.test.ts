/** Files are written whole or not at all. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, watch } from 'node:fs';
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openFolder, openOutput } from './output.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'faultline-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('openOutput', () => {
  test('leaves nothing behind but the file, and touches nothing before it is written', async () => {
    const file = await openOutput('--out', 'a.json', folder);
    expect(await readdir(folder)).toEqual([]);
    await file.write('whole');
    expect(await readdir(folder)).toEqual(['a.json']);
    expect(await readFile(join(folder, 'a.json'), 'utf8')).toBe('whole');
  });

  test('replaces a file and keeps its mode; follows a link instead of replacing it', async () => {
    const target = join(folder, 'a.txt');
    await writeFile(target, 'old');
    await chmod(target, 0o640);
    await symlink(target, join(folder, 'link.txt'));
    await (await openOutput('--out', 'link.txt', folder)).write('new');
    expect(await readFile(target, 'utf8')).toBe('new');
    expect((await stat(target)).mode & 0o777).toBe(0o640);
    expect((await readdir(folder)).sort()).toEqual(['a.txt', 'link.txt']);
  });

  test('a link to nothing stays one: what it names is made', async () => {
    await mkdir(join(folder, 'deep'));
    await symlink('deep/b.txt', join(folder, 'link.txt'));
    await (await openOutput('--out', 'link.txt', folder)).write('new');
    expect(await readlink(join(folder, 'link.txt'))).toBe('deep/b.txt');
    expect(await readFile(join(folder, 'deep/b.txt'), 'utf8')).toBe('new');
    await symlink('no/where.txt', join(folder, 'lost.txt'));
    await expect(openOutput('--out', 'lost.txt', folder)).rejects.toThrow('its folder does not exist');
  });

  test('clears away what a killed writer left, and nothing else', async () => {
    const name = async (pid: number): Promise<string> => {
      const watcher = watch(folder);
      const seen = new Promise<string>((resolve) => watcher.once('change', (_, n) => resolve(String(n))));
      await (await openOutput('--out', 'a.json', folder)).write('');
      const part = await seen;
      watcher.close();
      return part.replace(`-${process.pid}.`, `-${pid}.`);
    };
    const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
    await once(child, 'close');
    const [dead, alive] = [await name(child.pid ?? 0), await name(process.ppid)];
    const others = ['.a.json.00000000-1.aabbccddeeff.part', 'mine.part', alive];
    for (const file of [dead, ...others]) await writeFile(join(folder, file), 'half');
    await openOutput('--out', 'other.json', folder);
    expect((await readdir(folder)).sort()).toEqual([...others, 'a.json'].sort());
  });

  test('writes straight into what is no file', async () => {
    await (await openOutput('--out', '/dev/null', folder)).write('gone');
    expect((await stat('/dev/null')).isCharacterDevice()).toBe(true);
  });

  test('says before any work why it cannot be written', async () => {
    await writeFile(join(folder, 'file'), '');
    const open = (path: string): Promise<unknown> => openOutput('--out', path, folder);
    await expect(open('no/where.json')).rejects.toThrow(
      '--out no/where.json: cannot be written: its folder does not exist',
    );
    await expect(open('.')).rejects.toThrow('it is a folder');
    await expect(open('file/x.json')).rejects.toThrow('a part of its path is a file');
    await expect(open(`${'n'.repeat(300)}.json`)).rejects.toThrow('the name is too long');
  });
});

describe('openFolder', () => {
  test('makes the folder, and refuses a file in its place', async () => {
    const files = await openFolder('--report', 'deep/er', folder, ['a', 'b']);
    await files.b.write('text');
    expect(await readdir(join(folder, 'deep/er'))).toEqual(['b']);
    await writeFile(join(folder, 'file'), '');
    await expect(openFolder('--report', 'file', folder, ['a'])).rejects.toThrow('a file is in its place');
    await expect(openFolder('--report', 'file/er', folder, ['a'])).rejects.toThrow(
      'a part of its path is a file',
    );
  });

  test.runIf(existsSync('/proc/self'))('gives up where nothing can be made, at whatever depth', async () => {
    for (const path of ['/proc/faultline', '/proc/faultline/deep/er']) {
      await expect(openFolder('--report', path, folder, ['a'])).rejects.toThrow(
        `--report ${path}: cannot be written: no folder can be made there`,
      );
    }
  });
});
