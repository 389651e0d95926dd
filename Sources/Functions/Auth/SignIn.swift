import Accounts
import Domain
import Registry
import Wire

/// auth:signIn
enum SignIn {
    /// In the shape of Convex Auth (convex-protocol.md 6), whose client reads the answer: `tokens` signs it in, and null
    /// erases the session that it has stored.
    struct Answer: ConvexObject {
        let tokens: TokenPair?

        static let shape = ObjectShape<Answer>(.required("tokens") { $0.tokens })
    }

    static let function = FunctionDefinition.action(
        "auth:signIn",
        "Signs up or in with e-mail address and password (`provider` \"password\", `params.flow` \"signUp\" or \"signIn\"), or "
            + "exchanges a `refreshToken` for new tokens.",
        access: .anyone,
        isAlsoMutation: true,
        arguments: Arguments(
            .optional("provider", String.self), .optional("params", ConvexValue.self), .optional("verifier", String.self),
            .optional("refreshToken", String.self), .optional("calledBy", String.self)),
        returns: Answer.self
    ) { context, arguments in
        let (provider, params, _, refreshToken, _) = arguments
        guard let provider else {
            if let refreshToken { return Answer(tokens: try await context.accounts.refresh(refreshToken, from: context.origin)) }
            // Codes belong to sign-in by mail or OAuth. None is ever given out, so none is right.
            if params?["code"] != nil { return Answer(tokens: nil) }
            throw APIError.invalid(".provider", "Cannot sign in: Missing `provider`, `params.code` or `refreshToken`")
        }
        guard provider == "password" else {
            throw APIError.invalid(".provider", "Provider `\(provider)` is not configured, available providers are `password`.")
        }
        return Answer(tokens: try await signIn(with: PasswordForm(params ?? .object([])), context))
    }

    private static func signIn(with form: PasswordForm, _ context: ActionContext) async throws -> TokenPair {
        let flow = try form.flow
        let email = try EmailAddress(form.text("email"), path: form.path("email"))
        let password = try form.text("password")
        switch flow {
        case .signUp:
            let filledIn = SignUpForm(
                email: email,
                password: try Password(new: password, path: form.path("password")),
                name: try DisplayName(form.text("name"), path: form.path("name")),
                accountType: try form.value("accountType"))
            return try await context.accounts.signUp(filledIn, from: context.origin, replacing: context.caller.principal)
        case .signIn:
            return try await context.accounts.signIn(
                email, Password(attempt: password, path: form.path("password")), from: context.origin,
                replacing: context.caller.principal)
        }
    }
}

/// `params` of the provider `password`. Stock clients put a whole HTML form in there, so other fields are left alone.
private struct PasswordForm {
    enum Flow: String {
        case signUp
        case signIn
    }

    private let params: ConvexValue

    init(_ params: ConvexValue) throws(ValidationFailure) {
        guard case .object = params else { throw .mismatch(at: ".params", value: params, validator: .object([])) }
        self.params = params
    }

    var flow: Flow {
        get throws {
            guard let flow: String = try value("flow"), let known = Flow(rawValue: flow) else {
                throw APIError.invalid(path("flow"), #"Missing `flow` param, it must be one of "signUp" or "signIn"!"#)
            }
            return known
        }
    }

    func path(_ name: String) -> String { ".params.\(name)" }

    func value<Value: ConvexDecodable>(_ name: String) throws -> Value? {
        try params[name].map { try Value.decode($0, at: path(name)) }
    }

    func text(_ name: String) throws -> String {
        guard let text: String = try value(name) else { throw APIError.invalid(path(name), "Missing `\(name)` param") }
        return text
    }
}

extension TokenPair: ConvexObject {
    public static let shape = ObjectShape<TokenPair>(
        .required("token") { $0.token },
        .required("refreshToken") { $0.refreshToken })
}
