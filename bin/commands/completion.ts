/** `compare completion`: the script that makes a shell complete commands, options and names. */
import { defineCommand } from '../command.ts';
import { completionScript } from '../completion.ts';

/** The `completion` command. */
export const completion = defineCommand({
  usage: 'completion',
  says: 'Print a completion script for bash and zsh: source <(compare completion)',
  options: {},
  async run(_args, io) {
    io.out(completionScript(io.name));
    return 0;
  },
});
