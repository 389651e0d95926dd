import HTTPTypes
import Hummingbird

/// Lets web pages of other origins call the API (convex-protocol.md 7).
///
/// Stock clients use no cookies, so nothing is allowed here that a page could not do with a token it has anyway; credentials
/// are never mentioned.
struct CrossOriginMiddleware: RouterMiddleware {
    typealias Context = APIRequestContext

    let allowsOrigin: @Sendable (String) -> Bool

    func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        guard let origin = request.headers[.origin] else { return try await next(request, context) }
        guard allowsOrigin(origin) else {
            // Without the headers below the browser keeps the answer from the page.
            return request.method == .options ? Response(status: .forbidden) : try await next(request, context)
        }
        if request.method == .options {
            var response = Response(status: .ok)
            response.headers[.accessControlAllowMethods] = "GET, POST, OPTIONS"
            response.headers[.accessControlAllowHeaders] =
                request.headers[.accessControlRequestHeaders] ?? "content-type, convex-client, authorization"
            response.headers[.accessControlMaxAge] = "86400"
            allow(origin, in: &response)
            return response
        }
        var response: Response
        do {
            response = try await next(request, context)
        } catch let error as any HTTPResponseError {
            // A refusal, too, has to be readable by the page.
            response = try error.response(from: request, context: context)
        }
        allow(origin, in: &response)
        return response
    }

    private func allow(_ origin: String, in response: inout Response) {
        response.headers[.accessControlAllowOrigin] = origin
        response.headers[.vary] = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
    }
}
