// An HTTP server that answers as a test says, for what the KMS test server would never say. Knows no protocol.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

export interface HttpStub {
  readonly endpoint: string;
  /** What was asked: the request line, its headers and its body. */
  readonly asked: { readonly url: string; readonly headers: IncomingMessage["headers"]; readonly body: string }[];
  close(): Promise<void>;
}

export async function startHttpStub(answer: (response: ServerResponse, body: string) => void): Promise<HttpStub> {
  const asked: HttpStub["asked"] = [];
  const server = createServer(async (request, response) => {
    const body = await text(request).catch(() => "");
    asked.push({ url: `${request.method} ${request.url}`, headers: request.headers, body });
    answer(response, body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
