/** For tests: where a real kernel is, or why there is none. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What `.ci/run` unpacks a kernel package to. */
const FOLDER = fileURLToPath(new URL('../../.ci/kernel', import.meta.url));

/** An unpacked kernel, and QEMU to run it; or a reason why not. */
function realKernel(): { readonly path: string } | { readonly why: string } {
  const path = process.env.FAULTLINE_KERNEL ?? FOLDER;
  if (!existsSync(join(path, 'boot')))
    return {
      why: `no kernel: unpack a package to .ci/kernel, or say where with FAULTLINE_KERNEL (docs/kernels.md)`,
    };
  try {
    execFileSync('qemu-system-x86_64', ['--version'], { stdio: 'ignore' });
  } catch {
    return { why: 'no qemu-system-x86_64 here' };
  }
  return { path };
}

/** The path, or undefined and a line that says why. */
export function realKernelOrSay(what: string): string | undefined {
  const found = realKernel();
  if ('path' in found) return found.path;
  process.stderr.write(`skipped: ${what}: ${found.why}\n`);
  return undefined;
}
