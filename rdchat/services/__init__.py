"""What people do: book, move, chat, send files, hear of it."""
