/** A UUID in lower case, as a part of a pattern. */
export const uuidPattern = '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}'

const whole = new RegExp(`^${uuidPattern}$`)

/** Whether that is a UUID in lower case and nothing else. */
export const isUuid = (text: string): boolean => whole.test(text)
