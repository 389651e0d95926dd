import Development
import Foundation
import StackTestSupport
import Testing

/// Gives the suite one stack with an administrator, which its scenarios share.
struct PagesStackTrait: SuiteTrait, TestScoping {
    @TaskLocal fileprivate static var scoped: PagesStack?

    func provideScope(for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void) async throws {
        try await StackPlace.with { place in
            let (email, password) = PagesStack.administrator
            let environment = ["ATTUNE_ADMIN_EMAIL": email, "ATTUNE_ADMIN_PASSWORD": password]
            try await place.withStack(environment) { stack in
                try await Self.$scoped.withValue(PagesStack(stack: stack), operation: function)
            }
        }
    }
}

extension Trait where Self == PagesStackTrait {
    static var pagesStack: Self { Self() }
}

/// What the scenarios run on.
struct PagesStack: Sendable {
    let stack: Stack

    static let administrator = (email: "admin@example.org", password: "staple battery horse")

    /// The one that the suite's tests share.
    static var shared: PagesStack {
        get throws { try #require(PagesStackTrait.scoped, "the suite lacks the trait .pagesStack") }
    }

    /// Runs a scenario. What it writes says what went wrong, and where pictures of its windows are.
    func play(_ scenario: Scenario) async throws -> (exit: ProcessExit, output: String) {
        let python = try #require(
            ProcessInfo.processInfo.environment["ATTUNE_TEST_PYTHON"],
            "ATTUNE_TEST_PYTHON is not set to a Python with the packages of Tests/requirements.txt; run the tests with script/test")
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "browser/\(scenario.rawValue).py")
        let place = stack.place
        let environment = place.environment([
            "PAGES_URL": stack.url,
            "PAGES_ADMIN_EMAIL": Self.administrator.email,
            "PAGES_ADMIN_PASSWORD": Self.administrator.password,
            "PAGES_INGEST_URL": "http://127.0.0.1:\(place.ingestPort)",
            "PAGES_CHROMIUM": Chromium.path,
            "PYTHONDONTWRITEBYTECODE": "1",
            // For a worker that the scenario starts and stops itself.
            "PAGES_WORKER": BuiltProgram.api,
            "DATABASE_URL": try PrivateCluster.connectionString(dataDirectory: place.dataFolder),
        ])
        return try await ChildProcess.run(python, [script.path()], environment: environment)
    }
}
