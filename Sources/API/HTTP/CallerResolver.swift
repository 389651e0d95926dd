import Accounts
import Domain
import HTTPTypes
import Hummingbird
import Logging
import Reporting

/// Finds out who makes a request, and from where.
struct CallerResolver: Sendable {
    let accounts: Accounts
    let addresses: ClientAddressResolver
    let logger: Logger

    /// The caller that the Authorization header proves; anonymous without one (convex-protocol.md 1.2).
    func caller(of request: Request, _ context: APIRequestContext) async throws(RequestFailure) -> Caller {
        guard let header = request.headers[.authorization] else { return .anonymous }
        let parts = header.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else {
            throw RequestFailure(.badRequest, "InvalidAuthHeader", "The Authorization header has to be `Bearer` and a token.")
        }
        do {
            return try await accounts.sessions.caller(forToken: String(parts[1].trimmingBlanks())).caller
        } catch let failure as AuthenticationFailure {
            accounts.reportRefusedToken(failure, from: CallOrigin(address: clientAddress(of: request, context)))
            throw RequestFailure(failure)
        } catch {
            logger.warning("cannot check a session", metadata: ["error": "\(error)"])
            throw RequestFailure(.serviceUnavailable, "ServiceUnavailable", "Your session cannot be checked at the moment. Try again.")
        }
    }

    func clientAddress(of request: Request, _ context: APIRequestContext) -> IPAddress {
        addresses.clientAddress(peer: context.peerAddress, forwardedFor: request.headers[values: .forwardedFor])
    }
}
