import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A question that an endpoint was asked. */
export interface Asked {
  model: string;
  messages: { content: string }[];
  headers: IncomingMessage['headers'];
}

/** An endpoint like OpenAI's that answers question i with a text, with a status and a body, or never (null). */
export async function endpoint(
  answer: (asked: Asked, i: number) => string | { status: number; body: string } | null,
) {
  const questions: Asked[] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const asked = { ...JSON.parse(text), headers: request.headers };
    questions.push(asked);
    const own = answer(asked, questions.length - 1);
    if (own === null) return;
    const completion = { choices: [{ message: { content: own } }], usage: { total_tokens: 7 } };
    const { status, body } =
      typeof own === 'object' ? own : { status: 200, body: JSON.stringify(completion) };
    response.writeHead(status).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    base: `http://127.0.0.1:${port}/v1`,
    questions,
    [Symbol.dispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
}
