/** What a command is: data that yargs, the help, the completion and the tests all read. */
import type { InferredOptionTypes, Options, PositionalOptions } from 'yargs';
import type { ExitCode, Io } from './io.ts';

/** Options of a command by name, as yargs takes them. */
export type OptionTable = Readonly<Record<string, Options>>;

/** A command with typed options; `run` loads what is heavy itself, so that `--help` stays quick. */
export interface Command<O extends OptionTable = OptionTable> {
  /** Its name and positionals, in yargs' notation: `report <file>`. */
  readonly usage: string;
  /** One line for the help. */
  readonly says: string;
  readonly options: O;
  readonly positionals?: Readonly<Record<string, PositionalOptions>>;
  /** Command lines worth imitating, with what they show. */
  readonly examples?: readonly (readonly [command: string, shows: string])[];
  readonly run: (args: InferredOptionTypes<O> & Positionals, io: Io) => Promise<ExitCode>;
}

/** Positionals all have these names, so that they need no types of their own. */
export interface Positionals {
  readonly file?: string;
  readonly files?: readonly string[];
}

/** A command whose option types have been checked and can be forgotten. */
export type AnyCommand = Omit<Command, 'run'> & {
  readonly name: string;
  readonly run: (args: Readonly<Record<string, unknown>>, io: Io) => Promise<ExitCode>;
};

/** Checks a command's types against its options, then forgets them. */
export function defineCommand<const O extends OptionTable>(command: Command<O>): AnyCommand {
  return {
    ...command,
    name: command.usage.split(' ', 1)[0] ?? '',
    // yargs has parsed exactly `options`: this is where its untyped record gets its type back.
    run: (args, io) => command.run(args as unknown as InferredOptionTypes<O> & Positionals, io),
  };
}
