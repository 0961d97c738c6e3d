"""The shapes of attachments: how one is sent, shown and opened."""

from __future__ import annotations

from marshmallow import EXCLUDE, Schema, fields, validate

from handlers.schemas.answers import AnswerSchema
from handlers.schemas.parts import (
    ATTACHMENT_ID,
    BASE_URL,
    LONGEST_CAPTION,
    OWN_FILE_ID,
    SESSION_ID,
    SIGNED,
    about,
    identity,
    instant,
    number,
    text,
)
from rdchat.domain.message import WITH_ATTACHMENT, MessageType
from rdchat.files.kinds import IN_WORDS


class UploadRequest(Schema):
    """Send a file. Put the file last: then a refusal does not wait for it."""

    session_id = identity("sessionId", "The session to write in.", SESSION_ID)
    message = fields.String(
        load_default="",
        validate=validate.Length(max=LONGEST_CAPTION),
        metadata=about("What to say with it.", "Catatan tidur saya minggu ini."),
    )
    message_type = fields.String(
        data_key="messageType",
        validate=validate.OneOf([str(one) for one in MessageType if one in WITH_ATTACHMENT]),
        metadata=about("What you take it for. It decides nothing: the content does.", "image"),
    )
    client_message_id = fields.String(
        load_default=None,
        data_key="clientMessageId",
        validate=validate.Length(min=1, max=128),
        metadata=about(
            "Your own id of the message: sent again with the same words and file, it is stored once.",
            OWN_FILE_ID,
        ),
    )
    file = fields.Raw(
        required=True,
        metadata=about(
            f"The file: {IN_WORDS}. Texts are in UTF-8, or in UTF-16 with its mark. What it is decides its "
            "content, not its name.",
            "catatan-tidur.jpg",
            type="string",
            format="binary",
        ),
    )


class AttachmentQuery(Schema):
    """Show that one may open an attachment. What else the link has got on its way does not matter."""

    class Meta:  # noqa: D106 - marshmallow's name
        unknown = EXCLUDE

    token = fields.String(
        required=True,
        validate=validate.Length(min=1, max=200),
        metadata=about("What the link contains.", SIGNED, pattern="^[!-~]+$"),
    )


class AttachmentFacts(AnswerSchema):
    """A file that was sent with a message."""

    id = identity("id", "The attachment's id.", ATTACHMENT_ID)
    file_name = text("fileName", "Its name, cleaned, with an extension that fits.", "catatan-tidur.jpg")
    content_type = text("contentType", "What it is, by its content.", "image/jpeg")
    size = number(
        "size", "How many bytes it has. An image or a recording has other ones than were sent.", 182_334
    )
    width = fields.Integer(metadata=about("Only of an image: how many pixels it is wide.", 1536))
    height = fields.Integer(metadata=about("Only of an image: how many pixels it is high.", 2048))
    # No example: the attachment that is shown is an image.
    duration_seconds = fields.Float(
        data_key="durationSeconds",
        metadata=about("Only of a recording, if that is known: how long it is, to the millisecond."),
    )


class AttachmentAnswer(AttachmentFacts):
    """A file that was sent with a message, and a link to it."""

    url = text(
        "url",
        "A link to it, for the caller alone, as a whole address. It needs no header; parameters that others "
        "add to it do not matter.",
        f"{BASE_URL}/api/v1/chat/attachments/{ATTACHMENT_ID}/content?token={SIGNED}",
    )
    expires_at = instant(
        "expiresAt",
        "Until when the link serves. `GET /chat/attachments/{id}` gives another.",
        "2030-01-15T07:07:13.000Z",
    )
