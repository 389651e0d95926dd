import Foundation
import StackTestSupport
import Testing

/// Gives a suite one stack, which its tests share: two workers, demo accounts and an administrator, started with
/// `script/server` from a directory that has nothing to do with it.
struct SharedStackTrait: SuiteTrait, TestScoping {
    @TaskLocal fileprivate static var scoped: Stack?

    func provideScope(for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void) async throws {
        try await StackPlace.with { place in
            // The build folder is locked by whoever runs the tests, and everything in it is built: so what the script asks of the
            // compiler is only written down.
            let tools = place.root + "/tools"
            try FileManager.default.createDirectory(atPath: tools, withIntermediateDirectories: false)
            let script = "#!/bin/sh\necho \"$@\" >>'\(tools)/calls'\n"
            try script.write(toFile: tools + "/swift", atomically: false, encoding: .utf8)
            chmod(tools + "/swift", 0o755)

            let environment = [
                "PATH": tools + ":" + (ProcessInfo.processInfo.environment["PATH"] ?? ""), "ATTUNE_BUILD": "debug",
                "ATTUNE_WORKERS": "2", "ATTUNE_ADMIN_EMAIL": Self.administrator.email,
                "ATTUNE_ADMIN_PASSWORD": Self.administrator.password,
            ]
            try await place.withStack(environment, program: Self.script, ["--demo"]) { stack in
                try await Self.$scoped.withValue(stack, operation: function)
            }
        }
    }

    static let administrator = (email: "admin@example.org", password: "staple battery horse")

    private static let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appending(path: "../../script/server").standardizedFileURL.path()
}

extension Trait where Self == SharedStackTrait {
    static var sharedStack: Self { Self() }
}

extension Stack {
    /// The one that the suite's tests share.
    static var shared: Stack {
        get throws { try #require(SharedStackTrait.scoped, "the suite lacks the trait .sharedStack") }
    }
}
