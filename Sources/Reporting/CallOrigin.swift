// Reporting makes the security events of a process: of whom and of what they tell, and how often.
import Domain
import Wire

/// What events tell of the call that caused them.
public struct CallOrigin: Sendable {
    /// Of the client; already resolved through trusted proxies.
    public var address: IPAddress
    public var function: FunctionPath?
    /// Under which the caller may ask about it, and the log has more.
    public var requestID: String?

    public init(address: IPAddress, function: FunctionPath? = nil, requestID: String? = nil) {
        self.address = address
        self.function = function
        self.requestID = requestID
    }
}
