/**
 * Owns the two lists of Node that the service reads. They are not imported, because an import by
 * name makes Node load its own fetch and WebSocket with them: 14 MB and 40 ms, for code that the service never calls.
 */
export const { METHODS, STATUS_CODES } = process.getBuiltinModule('node:http')
