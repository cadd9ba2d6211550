-- What somebody has uploaded and not sent yet is counted before more is taken from a visitor.
create index attachment_unsent_of on attachment (workspace_id, uploader_id) where message_id is null;
