"""The worker stops, and comes back."""
from attune import Worker, sign_up
from chat import Chat
from playwright.sync_api import expect
from stage import play


def scenario(stage):
    ann, ben = sign_up("Ann"), sign_up("Ben")
    ben.send("Hello Ann", ann)
    with Worker() as worker:
        worker.wait()
        window = stage.window("ann", url=worker.url)
        chat = Chat(window.page, worker.url).sign_in(ann).open("Ben")
        chat.expect_messages("Hello Ann")
        chat.expect_connection(True)

        # Browsers report connections that cannot be made.
        window.expects("WebSocket connection to|ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET")
        for number, stop in enumerate([worker.stop, worker.kill]):
            stop()
            chat.expect_connection(False)
            # What is written meanwhile, here and elsewhere, arrives: each message once.
            chat.send(f"here {number}")
            expect(chat.message(f"here {number}")).to_contain_text("Sending…")
            ben.send(f"elsewhere {number}", ann)
            worker.start()
            expect(chat.message(f"elsewhere {number}")).to_be_visible()
            expect(chat.message(f"here {number}")).not_to_contain_text("Sending…")
            chat.expect_connection(True)
        conversation = ben.call("query", "messages:listConversations")["page"][0]["_id"]
        messages = ben.call("query", "messages:list", conversationId=conversation)["page"]
        contents = [message["content"] for message in reversed(messages)]
        assert contents == ["Hello Ann", "elsewhere 0", "here 0", "elsewhere 1", "here 1"], contents
        chat.expect_messages(*contents)


play(scenario)
