-- What was deleted or retracted before left things behind: files, reactions, and names and data in the log. They go as they do
-- now at once; bytes whose rows are gone are found by the sweep.
delete from attachment a using message m
where m.workspace_id = a.workspace_id and m.id = a.message_id and m.retracted_at is not null;
delete from reaction r using conversation c
where c.workspace_id = r.workspace_id and c.id = r.conversation_id and c.deleted_at is not null;
update event e set data = case e.type
  when 'conversation.updated' then e.data #- '{changes,subject}' #- '{changes,metadata}'
  else e.data || '{"emoji": "", "removed": true}' end
from conversation c
where c.workspace_id = e.workspace_id and c.id = e.conversation_id and c.deleted_at is not null
  and e.type in ('conversation.updated', 'message.reacted');
