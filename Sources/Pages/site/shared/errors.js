/** A call that was refused or failed: `code` is one of the API's (docs/errors.md), `message` a sentence for a person. */
export class ApiError extends Error {
    constructor(code, message, data = {}) {
        super(message);
        this.name = "ApiError";
        this.code = code;
        /** All that the server said: `{code, message, details?}`. */
        this.data = data;
    }

    /** Reads a failed outcome: `errorData` is there when a function refused, `errorMessage` always. */
    static from({ errorData, errorMessage }) {
        if (errorData?.code) return new ApiError(errorData.code, errorData.message, errorData);
        return new ApiError("internal_error", errorMessage);
    }
}

/** The server was not reached, or could not say what came of the call. Trying again may help. */
export class ConnectionError extends Error {
    constructor(message = "The server cannot be reached.", options = {}) {
        super(message, options);
        this.name = "ConnectionError";
    }
}
