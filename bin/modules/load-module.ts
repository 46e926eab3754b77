/** A user's own strategy or scenario: a module named by its path, imported from where the user stands. */
import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { register } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { errorCode, kindAndLine, UsageError } from '../io.ts';
import { changedBuiltin } from './intrinsics.ts';

/** Imports the module and returns what it exports as default, or under `named`. */
export async function loadModule(option: string, path: string, cwd: string, named: string): Promise<unknown> {
  const refuse = (why: string): UsageError => new UsageError(`${option} ${path}: ${why}`);
  const file = resolve(cwd, path);
  const there = await stat(file).catch(() => undefined);
  if (!there) throw refuse('no such file');
  if (!there.isFile()) throw refuse('it is not a file; name a module (.mjs)');
  let module: Readonly<Record<string, unknown>>;
  try {
    nameOurselves();
    module = await import(pathToFileURL(file).href);
  } catch (error) {
    if (errorCode(error) === 'ERR_UNKNOWN_FILE_EXTENSION') {
      throw refuse('this Node does not load such files; write plain JavaScript (.mjs)');
    }
    throw refuse(`cannot be loaded: ${kindAndLine(error)}${await syntaxLine(file, error)}`);
  }
  const changed = changedBuiltin();
  if (changed !== undefined) {
    throw refuse(
      `it changes ${changed}, which everything here relies on; a module has to leave what is built in alone`,
    );
  }
  const value = module.default ?? module[named];
  if (value === undefined) throw refuse(`it exports no ${named}; write: export default { name: …, … }`);
  return value;
}

/** Where a syntax error is: `import()` does not say, `node --check` does. */
async function syntaxLine(file: string, error: unknown): Promise<string> {
  if (!(error instanceof SyntaxError)) return '';
  const said = await promisify(execFile)(process.execPath, ['--check', file]).then(
    () => '',
    (failed: { readonly stderr?: string }) => failed.stderr ?? '',
  );
  const line = /^.*:(\d+)$/m.exec(said.split('\n', 1)[0] ?? '')?.[1];
  return line === undefined ? '' : ` (line ${line})`;
}

let registered = false;
/** Lets the module import `faultline/scenarios` and the like; from sources, where there is no JavaScript, not. */
function nameOurselves(): void {
  if (registered || !import.meta.url.endsWith('.js')) return;
  registered = true;
  register('./resolve-self.js', import.meta.url);
}
