/**
 * Owns what the service takes from Node's HTTP: two lists, and the server. It is not imported, because an import by
 * name makes Node load its own fetch and WebSocket with them: 14 MB and 40 ms, for code that the service never calls.
 */
export const { createServer, METHODS, STATUS_CODES } = process.getBuiltinModule('node:http')
