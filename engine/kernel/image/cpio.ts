/** A "newc" cpio archive, the format of an initramfs (Documentation/driver-api/early-userspace/buffer-format.rst). */

/** One entry; `mode` has the file type in it (S_IFREG …), `dev` is a device node's major and minor number. */
export interface CpioEntry {
  readonly name: string;
  readonly mode: number;
  readonly data?: Uint8Array;
  readonly dev?: readonly [major: number, minor: number];
}

/** File types in `mode`. */
export const S_IFCHR = 0o020000;
export const S_IFDIR = 0o040000;
export const S_IFREG = 0o100000;

const EMPTY = new Uint8Array(0);

/** The archive, with its trailer. Everything in it belongs to root and is as old as the epoch. */
export function cpioArchive(entries: readonly CpioEntry[]): Uint8Array {
  const parts: Uint8Array[] = [];
  let length = 0;
  const push = (bytes: Uint8Array): void => {
    const padding = -bytes.length & 3;
    parts.push(bytes, new Uint8Array(padding));
    length += bytes.length + padding;
  };
  [...entries, { name: 'TRAILER!!!', mode: 0 }].forEach((entry, i) => {
    push(headOf(entry, i + 1));
    push(entry.data ?? EMPTY);
  });
  const archive = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    archive.set(part, at);
    at += part.length;
  }
  return archive;
}

/** Magic, thirteen numbers of eight hex digits, the name with its zero. */
function headOf(entry: CpioEntry, inode: number): Uint8Array {
  const name = new TextEncoder().encode(`${entry.name}\0`);
  const [major, minor] = entry.dev ?? [0, 0];
  const size = entry.data?.length ?? 0;
  const numbers = [inode, entry.mode, 0, 0, 1, 0, size, 0, 0, major, minor, name.length, 0];
  const head = new TextEncoder().encode(
    `070701${numbers.map((n) => n.toString(16).padStart(8, '0')).join('')}`,
  );
  const whole = new Uint8Array(head.length + name.length);
  whole.set(head);
  whole.set(name, head.length);
  return whole;
}
