/** Arguments to a command to an exit code. Pure but for what the commands do through their `Io`. */
import yargs, { type Argv } from 'yargs';
import { visible } from '../reports/print/escape.ts';
import { suggestion } from '../scenarios/language/nearest.ts';
import type { AnyCommand } from './command.ts';
import { commands, defaultCommand } from './commands/index.ts';
import { complete } from './completion.ts';
import { type ExitCode, firstLine, INTERNAL_ERROR, type Io, textOf, UsageError } from './io.ts';
import { version } from './version.ts';

/** Runs one command line; never throws and never ends the process. */
export async function run(argv: readonly string[], io: Io): Promise<ExitCode> {
  try {
    if (argv[0] === '--complete') {
      io.out(await complete(argv.slice(1), commands, defaultCommand));
      return 0;
    }
    return await parse(argv, io);
  } catch (error) {
    io.err(`${io.name}: ${describe(error)}\n`);
    return 2;
  }
}

/** A user's mistake is one line; a mistake of ours comes with its trace, so that it can be reported. */
function describe(error: unknown): string {
  // What is echoed came from arguments and files: it must not act on the terminal it is printed to.
  if (error instanceof UsageError) return visible(firstLine(error));
  const trace = error instanceof Error && error.stack !== undefined ? error.stack : textOf(error);
  return `${INTERNAL_ERROR}: ${trace.split('\n').map(visible).join('\n')}`;
}

async function parse(argv: readonly string[], io: Io): Promise<ExitCode> {
  let code: ExitCode = 0;
  refuseValues(argv);
  const parser = yargs([...argv])
    .scriptName(io.name)
    .locale('en')
    .exitProcess(false)
    .strict()
    .parserConfiguration({ 'boolean-negation': false, 'camel-case-expansion': false })
    .version(version())
    .alias('help', 'h')
    .wrap(Math.min(100, io.columns ?? 80))
    .epilogue(
      'Exit code: 0 all claims hold, 1 one is broken, 2 bad input or a run without a verdict, 130 interrupted.',
    )
    .fail((message, error) => {
      // A UsageError comes through as it is; yargs' own complaints are put into our words.
      throw error instanceof Error && error.name !== 'YError' ? error : inOurWords(message, argv);
    });
  for (const command of commands) {
    const usage = command === defaultCommand ? [command.usage, '$0'] : command.usage;
    parser.command(
      usage,
      command.says,
      (y: Argv) => declare(y, command),
      async (args) => {
        checkValues(args, command);
        code = await command.run(args, io);
      },
    );
  }
  // yargs hands help and version texts to this callback instead of printing them.
  await parser.parseAsync([...argv], {}, (_error, _args, text) => {
    if (text) io.out(`${text}\n`);
  });
  return code;
}

/** A switch is on or not there; yargs would take `--version=3` and `--no-timing=maybe` for it. */
function refuseValues(argv: readonly string[]): void {
  const { options } = commandOf(argv);
  for (const word of argv) {
    if (word === '--') return;
    const name = /^--?([\w-]+)=/.exec(word)?.[1];
    if (name === undefined) continue;
    if (['help', 'h', 'version'].includes(name) || options[name]?.type === 'boolean') {
      throw new UsageError(`${word.split('=', 1)[0]} takes no value`);
    }
  }
}

function declare(y: Argv, command: AnyCommand): Argv {
  for (const [name, option] of Object.entries(command.positionals ?? {})) y.positional(name, option);
  for (const [name, option] of Object.entries(command.options)) y.option(name, option);
  for (const [line, shows] of command.examples ?? []) y.example(line, shows);
  return y;
}

/** The command a command line is about: the first word that names one, or the default. */
function commandOf(argv: readonly string[]): AnyCommand {
  return commands.find((c) => c.name === argv[0]) ?? defaultCommand;
}

/** What yargs lets through: a scalar given twice (it makes an array of it), an empty value, a number that is none. */
function checkValues(args: Readonly<Record<string, unknown>>, command: AnyCommand): void {
  for (const [name, option] of Object.entries(command.options)) {
    const value = args[name];
    if (value === undefined) continue;
    if (!option.array && Array.isArray(value)) {
      throw new UsageError(`--${name} was given ${value.length} times; give it once`);
    }
    if ([value].flat().includes('')) throw new UsageError(`--${name} needs a value`);
    if (option.type === 'number' && ![value].flat().every(Number.isFinite)) {
      throw new UsageError(`--${name} needs a number`);
    }
  }
}

/** yargs' complaint as one line that says what would be right. */
function inOurWords(message: string, argv: readonly string[]): UsageError {
  const command = commandOf(argv);
  const missing = /^Not enough arguments following: (\S+)/.exec(message)?.[1];
  if (missing) return new UsageError(`--${missing} needs a value`);
  const required = /^Missing required arguments?: (.+)/.exec(message)?.[1];
  if (required) return new UsageError(`${command.name} needs ${required.replace(/(^|, )/g, '$1--')}`);
  if (message.startsWith('Not enough non-option arguments')) {
    return new UsageError(`${command.name} needs ${command.usage.replace(/^\S+ /, '')}`);
  }
  const choice = /Argument: (\S+), Given: "(.*)", Choices: (.+)/.exec(message);
  if (choice)
    return new UsageError(`--${choice[1]} '${choice[2]}': choose from ${choice[3]?.replaceAll('"', '')}`);
  const unknown = /^Unknown (?:argument|command)s?: ([^,]+)/.exec(message)?.[1];
  if (unknown === undefined) return new UsageError(message.replace(/\s*\n\s*/g, ' '));
  return new UsageError(unknownWord(unknown, argv, command));
}

/** Where a command's options are listed. */
const help = (command: AnyCommand): string =>
  command === defaultCommand ? 'compare --help' : `compare ${command.name} --help`;

function unknownWord(word: string, argv: readonly string[], command: AnyCommand): string {
  const flag = argv.find((a) => a.startsWith('-') && a.replace(/^-+/, '').split('=', 1)[0]?.startsWith(word));
  if (flag !== undefined) {
    const known = [...Object.keys(command.options), 'help', 'version'].map((o) => `--${o}`);
    const typed = flag.split('=', 1)[0] ?? flag;
    return `${command.name} has no option ${typed}.${suggestion(typed, known, `See: ${help(command)}`)}`;
  }
  const names = commands.map((c) => c.name);
  if (argv[0] !== command.name)
    return `there is no command '${word}'.${suggestion(word, names, 'See: compare --help')}`;
  return `${command.name} takes no argument '${word}'. See: ${help(command)}`;
}
