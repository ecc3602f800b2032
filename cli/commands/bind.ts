// seal bind: gives a file a binding for what it is now. Only someone who can open it can do this, and never for another
// environment than the one every source names.
import { bindSealed, type Scope } from "../../src/index.ts";
import { kmsOf } from "../aws.ts";
import { readChangeable, withContent } from "../document.ts";
import { recipientsElsewhere, requireExpectation } from "../environment.ts";
import { withIdentities } from "../identities.ts";
import type { Io } from "../io.ts";
import { assertFolder, assertMayWrite, deliver, deliverBack } from "../output.ts";
import { printDone } from "../report.ts";

export interface BindOptions {
  readonly env?: string;
  readonly namespace?: string;
  readonly scope?: Scope;
  readonly identity?: readonly string[];
  readonly out?: string;
  readonly move?: boolean;
}

export async function bind(io: Io, file: string, options: BindOptions): Promise<void> {
  const document = await readChangeable(io, file);
  await assertFolder(io, options.out);
  const found = await requireExpectation(io, document, options);
  await assertMayWrite(
    io,
    document,
    { ...options, isForceable: false },
    {
      environment: found.environment.name,
      namespace: found.manifest.namespace ?? options.namespace,
      name: found.manifest.name,
      isBoundSecret: document.carrier !== null,
    },
  );
  const kms = await kmsOf(io, found);
  const changes = { file, isSecret: true };
  const {
    text,
    info,
    changes: differences,
  } = await withIdentities(io, { ...options, ...found, changes }, (identities) =>
    bindSealed(
      document.content,
      {
        environment: found.environment,
        otherRecipients: recipientsElsewhere(found),
        isNamed: options.env !== undefined,
        mayMove: options.move === true,
        ...(options.scope === undefined ? {} : { scope: options.scope }),
        ...(options.namespace === undefined ? {} : { namespace: options.namespace }),
        kms,
        now: io.now(),
        file,
      },
      identities,
    ),
  );
  if (options.out !== undefined) await deliver(io, withContent(document, text), { out: options.out });
  else if (text === document.content) return printDone(io, `nothing changed: ${file}`);
  else await deliverBack(io, document, withContent(document, text));
  await printDone(
    io,
    `bound ${[info.namespace, info.name].filter(Boolean).join("/")} to ${info.environment} (${info.scope}): ${options.out ?? file}`,
  );
  for (const change of differences) await printDone(io, `  ${change}`);
}
