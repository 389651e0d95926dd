import Foundation
import Testing
import Wire
import WorkerTestSupport

@Suite("The web pages")
struct PageTests {
    /// Every address of a page or of a file that pages are made of, as people's browsers ask for them.
    private static let addresses = [
        "/chat": "text/html; charset=utf-8",
        "/admin": "text/html; charset=utf-8",
        "/assets/shared/theme.css": "text/css; charset=utf-8",
        "/assets/shared/sync.js": "text/javascript; charset=utf-8",
        "/assets/chat/chat.js": "text/javascript; charset=utf-8",
        "/assets/shared/icon.svg": "image/svg+xml",
        "/assets/definitions.json": "application/json",
    ]

    @Test("pages and their files come with their types, and are asked for anew each time")
    func contentTypes() async throws {
        try await withTestWorker { worker in
            for (address, type) in Self.addresses {
                let answer = try await worker.request(.GET, address)
                #expect(answer.status == 200, "\(address)")
                #expect(answer.headers["Content-Type"] == [type], "\(address)")
                #expect(answer.headers["Cache-Control"] == ["no-cache"], "\(address)")
                #expect(!answer.text.isEmpty, "\(address)")
            }
        }
    }

    @Test("they may run their own scripts alone, in nobody's frame, and tell nobody where one comes from; so may what is not there")
    func securityHeaders() async throws {
        try await withTestWorker { worker in
            for address in Self.addresses.keys + ["/assets/nothing.js", "/chat/"] {
                let headers = try await worker.request(.GET, address).headers
                let policy = headers["Content-Security-Policy"].joined().components(separatedBy: "; ")
                for directive in [
                    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'",
                    "form-action 'none'", "frame-ancestors 'none'", "base-uri 'none'", "require-trusted-types-for 'script'",
                    "trusted-types 'none'",
                ] {
                    #expect(policy.contains(directive), "\(address): \(policy)")
                }
                #expect(!policy.joined().contains("unsafe"), "\(address): \(policy)")
                #expect(headers["X-Content-Type-Options"] == ["nosniff"], "\(address)")
                #expect(headers["X-Frame-Options"] == ["DENY"], "\(address)")
                #expect(headers["Referrer-Policy"] == ["no-referrer"], "\(address)")
                #expect(headers["Cross-Origin-Opener-Policy"] == ["same-origin"], "\(address)")
                #expect(headers["Cross-Origin-Resource-Policy"] == ["same-origin"], "\(address)")
                #expect(headers["Permissions-Policy"].joined().contains("camera=()"), "\(address)")
            }
        }
    }

    @Test("a browser that has a file already is told so")
    func entityTags() async throws {
        try await withTestWorker { worker in
            for address in Self.addresses.keys {
                let tag = try #require(try await worker.request(.GET, address).headers.first(name: "ETag"))
                #expect(tag.hasPrefix("\"") && tag.hasSuffix("\"") && tag.count > 10, "\(tag)")
                for known in [tag, "W/\(tag)", "\"other\", \(tag)", "*"] {
                    let answer = try await worker.request(.GET, address, headers: ["If-None-Match": known])
                    #expect(answer.status == 304, "\(address), \(known)")
                    #expect(answer.text.isEmpty, "\(address), \(known)")
                    #expect(answer.headers["ETag"] == [tag], "\(address), \(known)")
                    #expect(answer.headers["Content-Length"] != ["0"], "\(address), \(known)")
                }
                let changed = try await worker.request(.GET, address, headers: ["If-None-Match": "\"other\""])
                #expect(changed.status == 200, "\(address)")
            }
        }
    }

    @Test("HEAD says what GET would, without the body")
    func head() async throws {
        try await withTestWorker { worker in
            for address in Self.addresses.keys + ["/", "/assets/nothing.js"] {
                let (get, head) = (try await worker.request(.GET, address), try await worker.request(.HEAD, address))
                #expect(head.status == get.status, "\(address)")
                #expect(head.text.isEmpty, "\(address)")
                for name in ["Content-Type", "Content-Length", "ETag", "Content-Security-Policy"] {
                    #expect(head.headers[name] == get.headers[name], "\(address), \(name)")
                }
            }
        }
    }

    @Test("no other file is there, however it is asked for")
    func notFound() async throws {
        try await withTestWorker { worker in
            for address in [
                "/assets", "/assets/", "/assets/nothing.js", "/assets/chat.html", "/assets/../chat",
                "/assets/..%2f..%2fetc%2fpasswd", "/assets//etc/passwd", "/assets/shared", "/chat/chat.js", "/admin/users",
            ] {
                let answer = try await worker.request(.GET, address)
                #expect(answer.status == 404, "\(address): \(answer.text)")
            }
        }
    }

    @Test("pages name only files that are there, and load nothing from elsewhere")
    func references() async throws {
        try await withTestWorker { worker in
            var waiting: Set<String> = ["/chat", "/admin"]
            var seen: Set<String> = []
            while let address = waiting.popFirst() {
                seen.insert(address)
                let answer = try await worker.request(.GET, address)
                #expect(answer.status == 200, "\(address)")
                let references = answer.text.matches(of: /(?:src=|href=|from |import )"([^"#]+)"|url\("?([^")]+)"?\)/)
                for reference in references.compactMap({ $0.output.1 ?? $0.output.2 }) {
                    let url = try #require(URL(string: String(reference), relativeTo: URL(string: "http://here\(address)")))
                    #expect(url.host() == "here", "\(address) names \(reference)")
                    if !seen.contains(url.path()) { waiting.insert(url.path()) }
                }
            }
            let some: Set = ["/assets/shared/theme.css", "/assets/shared/sync.js", "/assets/shared/icon.svg", "/assets/chat/inbox.js"]
            #expect(seen.isSuperset(of: some), "\(seen)")
        }
    }

    @Test("a browser is led from the root to the chat; programs are still told what this is")
    func root() async throws {
        try await withTestWorker { worker in
            let browser = try await worker.request(.GET, "/", headers: ["Accept": "text/html,application/xml;q=0.9,*/*;q=0.8"])
            #expect(browser.status == 302)
            #expect(browser.headers["Location"] == ["chat"])
            let program = try await worker.request(.GET, "/", headers: ["Accept": "*/*"])
            #expect(program.status == 200)
            #expect(program.text.hasPrefix("This is an Attune API worker."))
            #expect(program.headers["Vary"] == ["Accept"])
            // With a slash the addresses in the page would be those of other files.
            let slash = try await worker.request(.GET, "/admin/")
            #expect(slash.status == 302)
            #expect(slash.headers["Location"] == ["../admin"])
        }
    }

    @Test("the definitions of all numbers are there for the dashboard to show")
    func definitions() async throws {
        try await withTestWorker { worker in
            let definitions = try await worker.request(.GET, "/assets/definitions.json").json
            #expect(definitions?["SystemMetrics"]?["activeUsers"]?.stringValue?.isEmpty == false)
            #expect(definitions?["UserAnalytics"]?["stickiness"]?.stringValue?.isEmpty == false)
        }
    }
}
