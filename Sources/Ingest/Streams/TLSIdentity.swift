import NIOCore
import NIOSSL
import NIOTLS

/// The certificate and key by which TLS inputs show who they are.
struct TLSIdentity: Sendable {
    private let context: NIOSSLContext

    /// - Parameters:
    ///   - certificate: path of a PEM file: the certificate, then those that signed it.
    ///   - key: path of its private key, PEM, without a passphrase.
    init(certificate: String, key: String) throws(TLSIdentityError) {
        let chain: [NIOSSLCertificate]
        do {
            chain = try NIOSSLCertificate.fromPEMFile(certificate)
        } catch {
            throw TLSIdentityError(description: "no certificate can be read from \(certificate)")
        }
        let privateKey: NIOSSLPrivateKey
        do {
            privateKey = try NIOSSLPrivateKey(file: key, format: .pem)
        } catch {
            throw TLSIdentityError(description: "no private key can be read from \(key)")
        }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(privateKey))
        configuration.minimumTLSVersion = .tlsv12
        do {
            context = try NIOSSLContext(configuration: configuration)
        } catch {
            throw TLSIdentityError(description: "\(key) is not the key of the certificate in \(certificate)")
        }
    }

    func addHandlers(to pipeline: ChannelPipeline.SynchronousOperations) throws {
        try pipeline.addHandlers(NIOSSLServerHandler(context: context), HandshakeDeadline())
    }
}

/// Why there is no TLS.
struct TLSIdentityError: Error, CustomStringConvertible {
    let description: String
}

/// Closes a connection that does not come to speak TLS.
private final class HandshakeDeadline: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = NIOAny

    private var deadline: Scheduled<Void>?

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        deadline = context.eventLoop.scheduleTask(in: .seconds(10)) { channel.close(promise: nil) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        context.fireUserInboundEventTriggered(event)
        guard case TLSUserEvent.handshakeCompleted = event else { return }
        deadline?.cancel()
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
    }

    func handlerRemoved(context: ChannelHandlerContext) { deadline?.cancel() }
}
