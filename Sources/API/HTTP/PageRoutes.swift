import Domain
import HTTPTypes
import Hummingbird
import NIOCore
import Pages
import Registry

/// The web pages for people: the chat, the administrators' dashboard, and the files that both are made of.
///
/// They hold no data: a page in the browser calls the API as any other client does.
struct PageRoutes: Sendable {
    func add(to router: Router<APIRequestContext>) {
        add("/", to: router) { request, _ in welcome(request) }
        for page in ["chat", "admin"] {
            add(RouterPath(page), to: router) { request, _ in
                // Its addresses are relative, so that a proxy may serve all of it below a path.
                request.uri.path.hasSuffix("/") ? redirect(to: "../\(page)") : serve(SiteFiles.all["\(page).html"], to: request)
            }
        }
        add("assets/**", to: router) { request, context in
            serve(asset(context.parameters.getCatchAll().joined(separator: "/")), to: request)
        }
    }

    /// GET and HEAD, which is the same without the body.
    private func add(
        _ path: RouterPath, to router: Router<APIRequestContext>,
        _ respond: @escaping @Sendable (Request, APIRequestContext) -> Response
    ) {
        router.get(path) { request, context in respond(request, context) }
        router.head(path) { request, context in respond(request, context).createHeadResponse() }
    }

    /// People with a browser are led to the chat, programs are told what this is.
    private func welcome(_ request: Request) -> Response {
        let isBrowser = request.headers[values: .accept].contains { $0.contains("text/html") }
        var response =
            isBrowser
            ? redirect(to: "chat")
            : Response(text: "This is an Attune API worker. Point a Convex client at this address.\n")
        response.headers[.vary] = "Accept"
        return response
    }

    private func redirect(to location: String) -> Response {
        Response(status: .found, headers: Self.headers.merging([.location: location]))
    }

    private func asset(_ path: String) -> SiteFile? {
        path == "definitions.json" ? Self.definitions : path.hasSuffix(".html") ? nil : SiteFiles.all[path]
    }

    private func serve(_ file: SiteFile?, to request: Request) -> Response {
        guard let file else {
            var response = Response(status: .notFound, text: "There is no such page.\n")
            response.headers = Self.headers.merging(response.headers)
            return response
        }
        // Browsers ask each time whether a file is still the same, so that a page's files are always of one release.
        let headers = Self.headers.merging([.cacheControl: "no-cache", .eTag: file.entityTag])
        if request.holds(file) {
            var response = Response(status: .notModified, headers: headers)
            // It would be said of the file, not of this answer.
            response.headers[.contentLength] = nil
            return response
        }
        return Response(
            status: .ok, headers: headers.merging([.contentType: file.contentType]),
            body: .init(byteBuffer: ByteBuffer(bytes: file.bytes)))
    }

    private static let definitions = SiteFile(contentType: "application/json", bytes: MetricDefinition.json)

    /// Pages run scripts and styles that this worker serves and nothing else, talk to this worker alone, and are shown in
    /// nobody's frame. `connect-src 'self'` holds for WebSockets of the same host and port, too.
    private static let headers: HTTPFields = [
        HTTPField.Name("Content-Security-Policy")!: [
            "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'",
            "form-action 'none'", "frame-ancestors 'none'", "base-uri 'none'", "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ].joined(separator: "; "),
        .xContentTypeOptions: "nosniff",
        HTTPField.Name("X-Frame-Options")!: "DENY",
        HTTPField.Name("Referrer-Policy")!: "no-referrer",
        HTTPField.Name("Cross-Origin-Opener-Policy")!: "same-origin",
        HTTPField.Name("Cross-Origin-Resource-Policy")!: "same-origin",
        HTTPField.Name("Permissions-Policy")!: "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ]
}

extension Request {
    /// Whether the client has this very file already (RFC 9110, 13.1.2).
    fileprivate func holds(_ file: SiteFile) -> Bool {
        headers[values: .ifNoneMatch].flatMap { $0.split(separator: ",") }.contains { tag in
            let tag = tag.trimmingBlanks()
            return tag == "*" || tag == file.entityTag || tag == "W/" + file.entityTag
        }
    }
}

extension HTTPFields {
    /// These, and others that they do not have.
    fileprivate func merging(_ others: HTTPFields) -> HTTPFields {
        var merged = self
        merged.append(contentsOf: others)
        return merged
    }
}
